"""`jc reproduce`: a folder with which a job is repeated on another machine."""
