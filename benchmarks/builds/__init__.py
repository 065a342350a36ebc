"""What `jc build` costs beside the builds."""
