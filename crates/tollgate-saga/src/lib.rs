//! tollgate-saga
