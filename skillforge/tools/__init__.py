"""Tools that models and workflows call: Python functions, MCP servers, recordings."""
