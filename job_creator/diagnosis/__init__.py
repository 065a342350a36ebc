"""`jc doctor`: whether machine, repositories, registry, buckets, keys and GitLab project are as a site needs them."""
