"""Why a forecast is what it is: SHAP values of the XGBoost member and expected gradients of the LSTM, in pictures, in
JSON, in words, and stored beside the served forecasts."""
