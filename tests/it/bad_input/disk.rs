//! What providers send back.
