# A server without torch: docs/serving.md. The file system of its container may be read-only.
#
#     docker build --tag alexnet .
#     docker run --rm --read-only --publish 127.0.0.1:8000:8000 --volume "$PWD/runs/images.onnx:/model.onnx:ro" alexnet

FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/alexnet \
    && PIP_CONSTRAINT=/source/constraints.txt /opt/alexnet/bin/pip install --no-cache-dir './runtime[serve]'

FROM python:3.12-slim
COPY --from=build /opt/alexnet /opt/alexnet
ENV PATH=/opt/alexnet/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Nobody, by number: some systems run no image whose user has only a name.
USER 65532:65532
EXPOSE 8000
# Options of the command may change all but the port: publish the one in the container as any other.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["alexnet", "serve", "--host", "0.0.0.0"]
CMD ["/model.onnx"]
