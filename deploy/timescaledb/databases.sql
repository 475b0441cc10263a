-- Run once, as superuser, when the server's data directory is made. Each database belongs to a role of its own, which
-- can enter no other; the API has a role that owns nothing (store/api_role.sql says what it may do).
\set ON_ERROR_STOP on
\getenv warehouse_password WAREHOUSE_PASSWORD
\getenv api_password API_DB_PASSWORD
\getenv dagster_password DAGSTER_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD

CREATE ROLE shelfops LOGIN PASSWORD :'warehouse_password';
CREATE ROLE shelfops_api LOGIN PASSWORD :'api_password';
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';

CREATE DATABASE shelfops OWNER shelfops;
CREATE DATABASE dagster OWNER dagster;
CREATE DATABASE mlflow OWNER mlflow;
REVOKE CONNECT, TEMPORARY ON DATABASE shelfops, dagster, mlflow, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE shelfops TO shelfops_api;

-- Only a superuser may install it; the migrations use it where they find it.
SELECT count(*) > 0 AS has_timescaledb FROM pg_available_extensions WHERE name = 'timescaledb' \gset
\connect shelfops
ALTER SCHEMA public OWNER TO shelfops;
\if :has_timescaledb
CREATE EXTENSION IF NOT EXISTS timescaledb;
\endif
\connect dagster
ALTER SCHEMA public OWNER TO dagster;
\connect mlflow
ALTER SCHEMA public OWNER TO mlflow;
