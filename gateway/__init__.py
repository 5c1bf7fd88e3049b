"""The data plane: speaks the OpenAI API to clients and gRPC to the BLS model in Triton."""
