"""Where files of mirrors and build caches lie: buckets, folders, web servers."""
