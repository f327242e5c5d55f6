"""An eval as files that people and tools read: HTML, Markdown, JUnit, JSON."""
