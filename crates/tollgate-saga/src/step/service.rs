//! A tower service as a step.

use super::StepContext;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use tower_service::Service;

type Called<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Makes a step's function of any tower service: `service` finds it in what the definition depends on, `request` makes the request. The
/// service is made ready and called once per attempt; whether it wears layers is its owner's business.
///
/// ```
/// use tollgate_core::PaymentError;
/// use tollgate_core::gateway::{Call, GetPayment, Payment};
/// use tollgate_core::id::PaymentId;
/// use tollgate_saga::{StepContext, step, via};
/// use tower::{service_fn, util::BoxCloneSyncService};
///
/// type Gateway = BoxCloneSyncService<Call<GetPayment>, Payment, PaymentError>;
/// struct Shop { gateway: Gateway }
///
/// let read = step(
///     "read",
///     via(
///         |shop: &Shop| shop.gateway.clone(),
///         |cx: &StepContext<Shop>, payment: PaymentId| cx.call(GetPayment { payment }),
///     ),
/// );
/// # let _ = read.without_effect();
/// # let _ = Shop { gateway: BoxCloneSyncService::new(service_fn(|_| async { Err(PaymentError::timeout("-")) })) }.gateway;
/// ```
pub fn via<D, In, S, Req>(
    service: impl Fn(&D) -> S + Send + Sync + 'static,
    request: impl Fn(&StepContext<D>, In) -> Req + Send + Sync + 'static,
) -> impl Fn(StepContext<D>, In) -> Called<S::Response, S::Error> + Send + Sync + 'static
where
    S: Service<Req, Future: Send> + Send + 'static,
    Req: Send + 'static,
{
    move |cx, input| {
        let mut service = service(cx.deps());
        let request = request(&cx, input);
        Box::pin(async move {
            poll_fn(|task| service.poll_ready(task)).await?;
            service.call(request).await
        })
    }
}
