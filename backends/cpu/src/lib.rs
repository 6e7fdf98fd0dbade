//! Tile programs to machine code for the CPU.
