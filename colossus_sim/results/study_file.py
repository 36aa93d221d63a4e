"""Name and version of the file that says what a sweep or a forecast was: written by sweeps, read by html."""

STUDY_FILE = "study.json"
SCHEMA_VERSION = 1
