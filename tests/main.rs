//! The one test program; its modules are the kinds of tests.
