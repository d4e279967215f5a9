"""The key of the REST API; the database is thrown away and listens on loopback only."""
API_KEY = "pannier-test-key"
