"""The gateway's gRPC front: KServe v2 as Triton speaks it, with the rules of the REST API."""
