//! The text of a pass program: printer and parser.
