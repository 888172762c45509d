"""What stands between the network and the routes: keys, limits, headers. Knows no resource."""
