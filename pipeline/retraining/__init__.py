"""When and how a run happens, by hand or on a schedule: the Prefect flow, its terminal, its server."""
