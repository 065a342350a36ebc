"""`jc verify`: from the bytes of a container back to the site's key, link by link."""
