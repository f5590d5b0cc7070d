"""What fits in the prompt: the working memory of an agent, counted in tokens. One file per system."""
