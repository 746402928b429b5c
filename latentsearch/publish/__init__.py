"""Publish the codes of images in shared storage to Milvus, by Spark, with no gallery in the memory of a process."""
