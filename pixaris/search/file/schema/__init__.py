"""The search file as a JSON Schema: the keys that the reader goes by, and the schema that is made of them."""
