"""What a person looks at: pages and pictures. Values in, bytes out."""
