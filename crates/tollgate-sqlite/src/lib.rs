//! tollgate-sqlite
