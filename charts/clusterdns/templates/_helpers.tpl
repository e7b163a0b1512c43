{{- define "clusterdns.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
k8s-app: {{ .Values.k8sAppLabel }}
{{- end }}

{{/* Selectors cannot be changed later: nothing that a version changes is in them. */}}
{{- define "clusterdns.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
k8s-app: {{ .Values.k8sAppLabel }}
{{- end }}

{{- define "clusterdns.probe" -}}
initialDelaySeconds: {{ .initialDelaySeconds }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
successThreshold: {{ .successThreshold }}
failureThreshold: {{ .failureThreshold }}
{{- end }}
