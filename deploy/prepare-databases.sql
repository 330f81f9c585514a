-- Run by PostgreSQL's image when its volume is empty
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
