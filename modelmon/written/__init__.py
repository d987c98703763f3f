"""Labels as files and requests write them: strict JSON and columns of text, read into columns of labels."""
