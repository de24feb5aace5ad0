//! From a Docker request and an image to an OCI runtime spec: Docker's defaults and merge rules, as pure functions.
