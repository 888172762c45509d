"""Fits several systems on one data set with several seeds and judges them alike."""
