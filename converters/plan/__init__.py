"""Plans: what TensorRT compiles a graph into, and what is known of it afterwards."""
