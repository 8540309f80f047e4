//! Misbehaving guests, one behaviour each.
