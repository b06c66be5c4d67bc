"""What a run found, for people (HTML, terminal) and for programs (JSON, JUnit)."""
