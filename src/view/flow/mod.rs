//! Ladder diagrams: what became of each message, drawn.

pub mod ladder;
pub mod mermaid;
pub mod svg;
pub mod text;

#[cfg(test)]
mod sample;
