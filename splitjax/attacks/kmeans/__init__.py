"""K-means on one device or many, in memory or from disk, and its attacks."""
