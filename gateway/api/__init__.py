"""The OpenAI wire and nothing else: endpoint families, schemas, SSE framing, error objects."""
