"""Why a forecast is what it is: SHAP values of the XGBoost member, in pictures, in JSON and in words."""
