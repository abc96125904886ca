"""SAS-Net: scene encoder, appearance encoder, renderer, and the weights that ship."""
