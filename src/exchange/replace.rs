//! `order.cancelReplace`: one order canceled and another placed in one step, and the outcome of each.

use super::core::Core;
use super::error::ApiError;
use super::request::Params;
use super::trading::client_order_id;
use crate::matching::AccountId;

/// What became of one of the two.
enum Leg {
    Done(String),
    Refused(ApiError),
    NotAttempted,
}

impl Leg {
    fn of(result: Result<String, ApiError>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }

    fn result(&self) -> &'static str {
        match self {
            Self::Done(_) => "SUCCESS",
            Self::Refused(_) => "FAILURE",
            Self::NotAttempted => "NOT_ATTEMPTED",
        }
    }

    fn response(&self) -> String {
        match self {
            Self::Done(text) => text.clone(),
            Self::Refused(error) => error.json(),
            Self::NotAttempted => "null".to_owned(),
        }
    }
}

impl Core {
    /// `order.cancelReplace`, `POST /api/v3/order/cancelReplace`. The new order's parameters, filters and order count are
    /// judged before anything is canceled, and refused as those of any order; what only matching can tell (balance,
    /// post-only, trigger, id) is found out after the cancel.
    pub(super) fn cancel_replace(
        &mut self,
        account: AccountId,
        params: &Params,
        now_ms: u64,
    ) -> Result<String, ApiError> {
        let stops_on_failure = match params.required("cancelReplaceMode")? {
            "STOP_ON_FAILURE" => true,
            "ALLOW_FAILURE" => false,
            _ => return Err(ApiError::bad_value("cancelReplaceMode")),
        };
        let (record, detail) = self.admit(account, params, now_ms)?;
        let cancel_id = client_order_id(params, "cancelNewClientOrderId", self.executions + 1)?;
        let names = ("cancelOrderId", "cancelOrigClientOrderId");
        let canceled = self.cancelable(account, record.symbol, params, names)?;
        self.limits.order(now_ms, account)?;
        let cancel = Leg::of(canceled.map(|id| self.cancel_one(id, &cancel_id, now_ms)));
        let is_canceled = matches!(cancel, Leg::Done(_));
        let place = if is_canceled || !stops_on_failure {
            Leg::of(self.submit(record, detail, now_ms))
        } else {
            Leg::NotAttempted
        };
        let is_placed = matches!(place, Leg::Done(_));
        let both = format!(
            "{{\"cancelResult\":\"{}\",\"newOrderResult\":\"{}\",\"cancelResponse\":{},\"newOrderResponse\":{}}}",
            cancel.result(),
            place.result(),
            cancel.response(),
            place.response()
        );
        match (is_canceled, is_placed) {
            (true, true) => Ok(both),
            (false, false) => Err(ApiError::replace_failed(both)),
            _ => Err(ApiError::replace_half_done(both)),
        }
    }
}
