"""What each layer costs: raw engine, engine model, BLS model and gateway side by side."""
