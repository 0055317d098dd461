//! The pipeline: capture, wire, stream, connection, session, view.
