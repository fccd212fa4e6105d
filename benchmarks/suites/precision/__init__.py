"""MovingDot from pixels with policy and reward in bfloat16 and in float32."""
