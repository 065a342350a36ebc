"""SIF files: published in a bucket, installed on clusters, removed when their branch is gone."""
