{{- define "tle.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tle.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "tle.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tle.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tle.selector" -}}
app.kubernetes.io/name: {{ include "tle.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Labels of an object: the context, then labels of its own, which win over commonLabels. */ -}}
{{- define "tle.labels" -}}
{{- $context := index . 0 }}
{{- $own := dict "app.kubernetes.io/version" $context.Chart.AppVersion "app.kubernetes.io/managed-by" $context.Release.Service }}
{{- toYaml (merge (include "tle.selector" $context | fromYaml) $own (index . 1) $context.Values.commonLabels) }}
{{- end }}

{{- define "tle.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "tle.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "tle.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "tle.claim" -}}
{{- .Values.persistence.existingClaim | default (include "tle.fullname" .) }}
{{- end }}

{{- /* What the schema cannot say, or says worse. */ -}}
{{- define "tle.check" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- fail (printf "replicas is %d: more than one is not possible. The ledger belongs to one process, and a second one with a ledger of its own would count every disconnect again, so that sums over both are double. A restart loses no count: what happened meanwhile is listed afterwards." (int .Values.replicas)) }}
{{- end }}
{{- if and (not .Values.credentials.existingSecret) (eq .Values.credentials.as "file") }}
{{- fail "credentials.as is file: credentials.existingSecret has to name the Secret with the files" }}
{{- end }}
{{- if and .Values.web.tls (not .Values.web.existingSecret) }}
{{- fail "web.tls is true: web.existingSecret has to name the Secret with web.yaml, the certificate and the key" }}
{{- end }}
{{- if not (or .Values.credentials.existingSecret .Values.extraEnv) }}
{{- range .Values.config.accounts }}
{{- if not (hasKey . "credentials") }}
{{- fail (printf "account %s has no credentials: name a Secret in credentials.existingSecret" (.name | default "main" | quote)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $set := dict "state.path" (dig "state" "path" "" .Values.config) "web.listen_addresses" (dig "web" "listen_addresses" "" .Values.config) "web.config_file" (dig "web" "config_file" "" .Values.config) "web.telemetry_path" (dig "web" "telemetry_path" "" .Values.config) "web.external_url" (dig "web" "external_url" "" .Values.config) }}
{{- if $set }}
{{- fail (printf "config.%s is set by the chart; see values.yaml for what can be chosen" $key) }}
{{- end }}
{{- end }}
{{- end }}
