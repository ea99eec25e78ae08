# MLflow's own server, the compose profile `mlflow`. Notebooks in containers find it by its name.
OWN += mlflow
MLFLOW_PORT ?= 5000
MLFLOW_docker = mlflow:5000
MLFLOW_local  = 127.0.0.1:$$port
TAKES_mlflow = V MLFLOW_PORT
mlflow: ## MLflow's own server with a database, in a container: eval "$(make mlflow)"
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && \
	  echo "  -> any MLflow will do: SAMEBOOK_MLFLOW__URL=http://host:5000" >&2 && exit 2; }; } && \
	$(AGAIN) --silent pulled-base >&2 && port=$(call quoted,$(MLFLOW_PORT)) && \
	$(BUILD) --file environments/mlflow/Dockerfile --tag $(PROJECT_NAME):mlflow$(TAG) environments >/dev/null && \
	{ MLFLOW_PORT="$$port" $(COMPOSE) --progress quiet --profile mlflow up --detach --wait mlflow >&2 || { \
	  echo "error: MLflow did not start" >&2 && \
	  echo "  -> port $$port taken? make mlflow MLFLOW_PORT=5001; else: docker compose --project-name $(PROJECT_NAME) logs mlflow" >&2 && exit 2; }; } && \
	echo "MLflow: http://127.0.0.1:$$port" >&2 && echo "export SAMEBOOK_MLFLOW__URL=http://$(MLFLOW_$(ENGINE))"
