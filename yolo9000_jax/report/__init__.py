"""Pictures and tables of the numbers that training, evaluation and ablations leave."""
