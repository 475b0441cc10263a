-- What the API may do, run by whoever owns the tables after each migration.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM shelfops_api;
GRANT USAGE ON SCHEMA public TO shelfops_api;
GRANT SELECT ON releases, demand_forecasts, forecast_explanations, forecast_totals, online_features, operational_alerts,
    pipeline_runs, stock_alerts, reorder_plan, purchase_orders, purchase_order_lines, shelfops_schema_version
    TO shelfops_api;
GRANT SELECT (dataset, item_id, attributes) ON items TO shelfops_api;
GRANT SELECT (dataset, period, store_id, item_id, quantity, unit_price) ON transactions TO shelfops_api;
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO shelfops_api;
GRANT SELECT, INSERT ON retrain_requests, purchase_order_events, item_flag_events TO shelfops_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON item_flags TO shelfops_api;
GRANT UPDATE (status, updated_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, note, details)
    ON stock_alerts TO shelfops_api;
GRANT UPDATE (status, updated_at, revision, edited, decided_at, decided_by) ON purchase_orders TO shelfops_api;
GRANT UPDATE (quantity) ON purchase_order_lines TO shelfops_api;
