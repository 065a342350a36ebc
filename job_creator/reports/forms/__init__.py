"""The forms of a report: text, Markdown, a page, a trace, metrics."""
