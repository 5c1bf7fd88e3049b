"""Text in and out of tokens: templates, tokenizers, detokenisation, stop strings. Pure."""
