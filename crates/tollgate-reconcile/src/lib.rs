//! tollgate-reconcile
