//! The kernel language: lexer, parser, syntax tree, canonical printer.
