"""The index past one machine: what a Milvus holds of a bundle, and how it is asked."""
